"""From public outcomes to the shipped arrays (scikit-learn and pandas; never at run time)."""
