"""Tables: datasets, tables, what is loaded into them and asked of them, in the manner of BigQuery."""
