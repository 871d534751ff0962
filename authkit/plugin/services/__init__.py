"""What every go-plugin plugin serves beside its own services: broker, controller, health, reflection."""
