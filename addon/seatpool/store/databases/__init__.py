"""What is special about SQLite and PostgreSQL: their files, connections, transactions and notices."""
