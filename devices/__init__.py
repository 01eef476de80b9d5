"""What runs on devices: kiosk and player (web apps), door (controller), simulator; and the contract they speak."""
