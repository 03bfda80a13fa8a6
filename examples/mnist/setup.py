from setuptools import find_packages, setup

setup(
    name="mnist-trainer",
    version="0.1",
    packages=find_packages(),
    install_requires=["keras", "h5py", "six"],
)
