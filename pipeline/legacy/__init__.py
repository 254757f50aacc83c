"""The published experiments' own output files, read into this benchmark's form; the host alone does so."""
