"""Third step: turns good rows into rows of tables. One file per source."""
