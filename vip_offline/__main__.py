"""``python -m vip_offline``."""

from vip_offline.cli import main

if __name__ == "__main__":
    main()
