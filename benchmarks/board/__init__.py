"""What a reading costs a board, beside what else sends readings from one."""
