"""The tables, as SQLAlchemy classes; migrations are proven equal to them."""
