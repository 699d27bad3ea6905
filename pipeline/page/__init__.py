"""The page: one HTML file that shows a run, and lets its network read, and learn from, a drawing."""
