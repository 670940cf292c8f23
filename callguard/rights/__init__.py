"""What a person may ask for, and what an officer has to answer, put together from what the store has."""
