import tensorflow as tf

if __name__ == "__main__":
    print(tf.__version__)
