"""The results database itself: opening, tables, migrations, digests of rows, errors."""
