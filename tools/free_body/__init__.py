"""The steps that turn MakeHuman's CC0 data into the free bodies; NumPy and SciPy."""
