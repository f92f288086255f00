"""`python -m melanoma_exp` is the console script `melanoma-exp`."""

from melanoma_exp.cli.main import main

if __name__ == "__main__":
    main()
