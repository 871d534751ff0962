"""Log in with a PIN that a team shares: the smallest complete auth method."""

from collections import Counter

from authkit import AuthMethod, Collection, CommaList, Identity, Int, LoginCall, LowerStr, Model
from authkit import PermissionDeniedError, Renewal, RenewCall, Role, Secret, Singleton, Task
from authkit import TooManyRequestsError, every, field, login, renewal, serve


class Team(Role):
    """A team, its PIN, and the tokens that its members get."""

    pin: Secret = field(required=True, help="The PIN. It is never shown again.")
    left: CommaList = field(default=(), help="Members who have left.")


class Limits(Model):
    """Limit how often wrong PINs may be tried."""

    wrong_pins: Int = field(default=100, help="Wrong PINs that a team may try in a quarter of an hour.")


class SharedPIN(AuthMethod, name="shared_pin", version="0.1.0"):
    """Log in as a member of a team, with the PIN that the team shares."""

    limits = Singleton(Limits, "config")
    teams = Collection(Team, "role/{name}")

    async def start(self) -> None:
        """Begin to count."""
        self.wrong_pins = Counter[str]()

    @login("login")
    async def log_in(self, call: LoginCall, team: Team, member: LowerStr, pin: Secret) -> Identity:
        """Log in with the name of a member and the team's PIN."""
        limits = await self.limits.find() or Limits()
        if self.wrong_pins[call.role_name] >= limits.wrong_pins:
            raise TooManyRequestsError("too many wrong PINs, try again later")
        if pin != team.pin or member in map(str.lower, team.left):  # Secrets compare in constant time
            self.wrong_pins[call.role_name] += 1
            raise PermissionDeniedError
        about = {"team": call.role_name, "member": member}
        return Identity(name=f"{call.role_name}/{member}", metadata=about)

    @renewal
    async def renew(self, call: RenewCall, team: Team) -> Renewal:
        """Renew the tokens of members who are still in the team."""
        if call.metadata["member"] in map(str.lower, team.left):
            raise PermissionDeniedError
        return Renewal.keep()

    @every("15m")
    async def forget(self, task: Task) -> None:
        """Let everybody try again."""
        self.wrong_pins.clear()


if __name__ == "__main__":
    serve(SharedPIN)
