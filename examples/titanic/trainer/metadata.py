"""What the data means: the one file to edit for another table."""

TARGET = "Survived"

# Numbers may be missing (an empty cell, or null in a request). A 0 is a 0: an infant's age, not a gap.
NUMERIC = ["Age", "SibSp"]
# The three classes of tickets are names that happen to be numbers.
CATEGORICAL = ["Pclass", "Sex", "Embarked"]
# Categories that also count together: a ticket's class meant more to women than to men.
PAIRED = ["Pclass", "Sex"]

# In the file, but not for the model: identifiers, free text, and columns that are mostly empty.
UNUSED = ["PassengerId", "Name", "Parch", "Ticket", "Fare", "Cabin"]

FEATURES = NUMERIC + CATEGORICAL
