"""What every go-plugin plugin serves beside its own: broker, controller, stdio, health, reflection."""
