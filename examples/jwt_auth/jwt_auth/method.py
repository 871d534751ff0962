"""The auth method: configuration, issuers, roles, logins with tokens, explanations and status."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from authkit import (
    Call,
    Collection,
    Identity,
    LoginCall,
    LoginError,
    NotFoundError,
    Operation,
    Secret,
    Str,
    Task,
    UserError,
    Write,
    cached,
    every,
    field,
    format_duration,
    login,
    read,
    write,
)
from authkit.oidc import DEFAULT_ISSUER, Explanation, Issuers, Record, TokenVerifier, UnusableKeys
from jwt_auth.admission.admit import admit
from jwt_auth.admission.presented_tokens import PresentedToken, TokenProof, verify_request
from jwt_auth.admission.several_issuers import (
    distinct,
    find_problem,
    find_refusal,
    find_refusals,
    has_several,
    verify_config,
    verify_issuer,
    verify_roles,
)
from jwt_auth.admission.trust import Trust
from jwt_auth.browser.paths.logins import BrowserAuth
from jwt_auth.denials import LoginExplanation
from jwt_auth.providers.registry import Providers
from jwt_auth.settings.config import JWTConfig, config_for
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth.settings.role import JWTRole
from jwt_auth.status import show_issuer

__all__ = ["JWTAuth"]

JWT = Annotated[Secret, field(default="", help="The signed JSON Web Token.")]
AccessToken = Annotated[
    Secret,
    field(default="", help="An access token with which to look up groups that the token only points at."),
]


class JWTAuth(BrowserAuth, name="jwt_auth", version="0.1.0"):
    """The JWT backend logs in whoever holds a JSON Web Token that an issuer you trust has signed."""

    issuers = Collection(JWTIssuer, "issuer/{name}")

    def __init_subclass__(cls, *, providers: Providers | None = None, **options: Any) -> None:
        if providers:
            extended = cls.config.with_model(config_for(providers))
            cls.config = extended
            extended.__set_name__(cls, "config")
        super().__init_subclass__(**options)

    known_trust: Trust | None = None

    # --- issuers ------------------------------------------------------------------------

    @cached
    def default_issuer(self, config: JWTConfig) -> TokenVerifier:
        """Keep its keys, fetched ones included, until the configuration is written again."""
        return config.make_verifier(self.clock.time)

    @cached
    def other_issuer(self, issuer: JWTIssuer) -> TokenVerifier:
        """Keep the keys of each issuer until it is written again.

        One whose stored keys this version does not take refuses its own tokens, and locks nobody else out.
        """
        try:
            return issuer.make_verifier(self.clock.time)
        except ValueError as error:
            return issuer.make_verifier(self.clock.time, UnusableKeys(str(error)))

    async def trusted(self, config: JWTConfig) -> Trust:
        """Return the accepted issuers.

        Raises:
            LoginError: the default issuer has keys that this version does not take, or a provider cannot be
                used.
        """
        issuers = await self.issuers.all()
        known = self.known_trust
        if known is not None and known.config is config and known.others is issuers:
            return known
        try:
            others = self.other_issuer.each(issuers)
            default = self.default_issuer(config) if config.has_source else None
            if default is not None and issuers and not default.issuer:
                default = default.for_issuer(config.oidc_discovery_url)
        except ValueError as error:
            raise LoginError(f"error configuring token validator: {error}") from error
        try:
            provider = self.provider(config)
        except ValueError as error:
            raise LoginError(f"failed to load custom provider config: {error}") from error
        trusted = Issuers(distinct(others), default, also_default=config.all_iss)
        self.known_trust = Trust(config, issuers, trusted, provider, self.clock.time)
        return self.known_trust

    @every("10m")
    async def refresh_trust(self, task: Task) -> None:
        """Stop renewing the keys of deleted issuers, on idle mounts too."""
        config = await self.config.find()
        if config is not None:
            with suppress(LoginError):
                await self.trusted(config)

    @BrowserAuth.config.on_write
    async def check_provider(self, write: Write[JWTConfig]) -> None:
        """Refuse settings of a provider that it does not have; a patch is asked for its own alone."""
        named = write.new.provider_config
        if write.call.request.operation is Operation.PATCH:
            named = write.call.data.raw.get("provider_config") or {}
        write.new.verify_provider(named)

    @BrowserAuth.config.on_write
    async def check_sources(self, write: Write[JWTConfig]) -> None:
        """Compare it with the further issuers, and ask a provider before it is relied on."""
        issuers = await self.issuers.all()
        if not write.new.has_source and not issuers:
            raise UserError(write.new.source_rule)
        verify_config(write.new, issuers)
        if has_several(write.new, issuers) and not has_several(write.stored, issuers):
            verify_roles(await self.roles.all())
        self.warn_of_plaintext(write)
        if not write.new.has_source:
            return
        verifier = write.new.make_verifier(self.clock.time)
        try:
            await write.new.ask_providers(verifier.keys)
        except UserError as error:
            await verifier.close()
            # Static keys are tested here, and no provider is asked for them.
            if not write.new.skip_jwks_validation or write.new.jwt_validation_pubkeys:
                raise
            write.warn(str(error))
        else:
            write.cache(self.default_issuer, verifier)
        # Issuers may have been written while the provider was asked, for as long as it liked.
        verify_config(write.new, await self.issuers.all())

    @issuers.on_write
    async def check_issuer(self, write: Write[JWTIssuer]) -> None:
        """Refuse a second issuer of the same tokens, and ask its provider."""
        if write.name == DEFAULT_ISSUER:
            raise UserError(f"'{DEFAULT_ISSUER}' is the name of the issuer in 'config'")
        config, issuers = await self.config.find(), await self.issuers.all()
        verify_issuer(write.name, write.new, config, issuers)
        if has_several(config, {**issuers, write.name: write.new}) and not has_several(config, issuers):
            verify_roles(await self.roles.all())
        self.warn_of_plaintext(write)
        verifier = write.new.make_verifier(self.clock.time)
        write.cache(self.other_issuer, verifier)
        await write.new.ask_providers(verifier.keys)
        # Others may have been written while the provider was asked, for as long as it liked.
        verify_issuer(write.name, write.new, await self.config.find(), await self.issuers.all())

    def warn_of_plaintext(self, write: Write[JWTConfig] | Write[JWTIssuer]) -> None:
        """Warn of keys that are fetched without encryption."""
        for text in write.new.plaintext_warnings:
            write.warn(text)

    # --- roles ---------------------------------------------------------------------------------

    @BrowserAuth.roles.on_write
    async def check_lifetimes(self, write: Write[JWTRole]) -> None:
        """Compare a role with the mount's longest lease."""
        longest, role = await self.system.max_lease_ttl(), write.new
        if role.token_period > longest:
            period, limit = format_duration(role.token_period), format_duration(longest)
            raise UserError(
                f"'period' of '\"{period}\"' is greater than the backend's maximum lease TTL of '\"{limit}\"'"
            )
        if role.token_max_ttl > longest:
            write.warn(
                "token max ttl is greater than the system or backend mount's maximum TTL value; "
                "issued tokens' max TTL value will be truncated"
            )
        if role.verbose_oidc_logging:
            write.warn(
                "verbose_oidc_logging has been enabled for this role. This is not recommended in production "
                "since sensitive information may be present in OIDC responses."
            )

    @BrowserAuth.roles.on_write
    async def check_issuers(self, write: Write[JWTRole]) -> None:
        """Refuse users that two issuers can name, and tell of issuers that are not there yet."""
        issuers = await self.issuers.all()
        if has_several(await self.config.find(), issuers) and (refusal := find_refusal(write.new)):
            raise UserError(refusal)
        for name in sorted({*write.new.issuers} - {DEFAULT_ISSUER, *issuers}):
            write.warn(f"there is no issuer '{name}' yet; until then its tokens are refused")

    # --- logins --------------------------------------------------------------------------------

    async def default_role(self) -> str:
        """Return the role of logins that name none."""
        return (await self.config.get()).default_role

    async def look_ahead(
        self,
        call: LoginCall,
        config: JWTConfig,
        role: JWTRole,
        jwt: JWT,
        distributed_claim_access_token: AccessToken,
    ) -> str:
        """Return the alias that a login would have, without one."""
        verify_request(role, jwt)
        proof = TokenProof(await self.trusted(config), PresentedToken(jwt, distributed_claim_access_token))
        identity = await admit(role, call.role_name, proof, Record(), connection=call.connection)
        return identity.name

    @login("login", default_role=default_role, alias=look_ahead)
    async def log_in(
        self,
        call: LoginCall,
        config: JWTConfig,
        role: JWTRole,
        jwt: JWT,
        distributed_claim_access_token: AccessToken,
    ) -> Identity:
        """Log in with a JSON Web Token.

        The token's signature, issuer and times are verified, then it is compared with everything
        that the role binds. A denial ends in a reference; an operator finds the reason under it with
        'explain'.
        """
        verify_request(role, jwt)
        record, presented = Record(), PresentedToken(jwt, distributed_claim_access_token)
        changes = self.objects.changes
        try:
            trust = await self.trusted(config)
            identity = await admit(
                role, call.role_name, TokenProof(trust, presented), record, connection=call.connection
            )
            if self.objects.changes != changes:
                await self.verify_trust(trust, role)
        except LoginError as error:
            raise self.deny(call.role_name, call, error, record) from error
        self.counts.allowed += 1
        return identity

    async def verify_trust(self, trust: Trust, role: JWTRole) -> None:
        """Refuse a login that has waited, and whose issuer was changed or deleted meanwhile.

        Configuration and role are compared by `@login` itself.
        """
        issuers = await self.issuers.all()
        if issuers is not trust.others and any(
            issuers.get(name) != trust.others.get(name) for name in role.issuers
        ):
            raise LoginError("an issuer of the role has changed meanwhile, try again")

    # --- for operators -------------------------------------------------------------------------

    @write("explain", sudo=True)
    async def explain(self, call: Call, config: JWTConfig, role: Str, jwt: Secret) -> dict[str, Any]:
        """Show every check that a login with this role and token would pass or fail.

        Nobody is logged in. The answer holds claims of the token, and never the token.
        """
        bounds, record, error, detail = await self.roles.get(role), Record(), "", ""
        proof = TokenProof(await self.trusted(config), PresentedToken(jwt))
        try:
            await admit(bounds, role, proof, record, connection=call.connection, is_from_user=False)
        except LoginError as refusal:
            record, error, detail = Explanation(), refusal.public, refusal.detail
            with suppress(LoginError):
                await admit(bounds, role, proof, record, connection=call.connection, is_from_user=False)
        found = LoginExplanation(role=role, error=error, detail=detail, checks=record.checks)
        return found.show(self.secret_texts(call.request))

    @read("explain/{reference}", sudo=True)
    async def explain_denial(self, reference: Str) -> Mapping[str, Any]:
        """Show why a login was denied, by the reference at the end of what it was told.

        Denials are kept in memory, the latest thousand for ten minutes.
        """
        denial = self.denials.find(reference)
        if denial is None:
            raise NotFoundError("no denial is known under this reference; they are kept for ten minutes")
        return denial

    @read("status")
    async def status(self) -> dict[str, Any]:
        """Show where keys come from and how fresh they are, and count logins since the process started."""
        config, others = await self.config.find(), await self.issuers.all()
        shown, problem = {}, ""
        try:
            if config is not None and config.has_source:
                shown["default"] = show_issuer(self.default_issuer(config))
            for name, verifier in self.other_issuer.each(others).items():
                shown[f"issuer/{name}"] = show_issuer(verifier)
                if isinstance(verifier.keys, UnusableKeys):
                    problem = f"issuer {name!r} cannot be used: {verifier.keys.reason}"
        except ValueError as error:
            problem = f"error configuring token validator: {error}"
        else:
            problem = problem or find_problem(config, others)
        refused = find_refusals(await self.roles.all()) if has_several(config, others) else {}
        return {
            "issuers": shown,
            "problem": problem,
            "refused_roles": refused,
            "logins": self.counts.show(),
        }
