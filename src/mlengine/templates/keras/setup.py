from setuptools import find_packages, setup

setup(
    name="trainer",
    version="0.1",
    packages=find_packages(),
    # Installed before the trainer starts. What the runtime brings already is left as it is.
    install_requires=["keras", "fsspec", "pandas"],
)
