"""Log in with a PIN that a team shares: the smallest complete auth method."""

from authkit import (
    AuthMethod,
    Collection,
    Identity,
    LoginCall,
    LowerStr,
    PermissionDeniedError,
    Role,
    Secret,
    field,
    login,
    serve,
)


class Team(Role):
    """A team, its PIN, and the tokens that its members get."""

    pin: Secret = field(required=True, help="The PIN. It is never shown again.")


class SharedPIN(AuthMethod, name="shared_pin", version="0.1.0"):
    """Log in as a member of a team, with the PIN that the team shares."""

    teams = Collection(Team, "role/{name}")

    @login("login")
    async def log_in(self, call: LoginCall, team: Team, member: LowerStr, pin: Secret) -> Identity:
        """Log in with the name of a member and the team's PIN."""
        if pin != team.pin:  # Secrets compare in constant time
            raise PermissionDeniedError
        return Identity(name=f"{call.role_name}/{member}", metadata={"team": call.role_name})


if __name__ == "__main__":
    serve(SharedPIN)
