"""The results database itself: opening, tables, migrations, errors."""
