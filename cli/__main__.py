"""Run the command from a checkout: `python -m cli`."""

from .main import main

if __name__ == "__main__":
    main()
