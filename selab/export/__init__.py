"""Write a policy in the form that the target machines accept; `formats` lists the forms."""
