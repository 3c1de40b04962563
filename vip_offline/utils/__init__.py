"""What every room uses: reads and writes files whole, the console, processes, limits."""
