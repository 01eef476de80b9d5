"""The controller of one door: a relay, a door contact and an exit button behind signed commands.

Exit, fire release and the mechanical key are wired past this program (I8): it only sees them.
"""
