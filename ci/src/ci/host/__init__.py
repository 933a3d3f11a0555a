"""What the engines on this machine share: state folder, ports, interrupts."""
