"""`python3 -m hornbeam` is the command `hornbeam`."""

from _hornbeam_command import main

if __name__ == "__main__":
    main()
