"""The settings of the built-in providers. The providers themselves are loaded when one is first used."""

from __future__ import annotations

from authkit import Bool, Int, Model, Secret, Str, field
from jwt_auth.providers.configured import NoSettings

__all__ = ["AzureSettings", "GSuiteSettings", "NoSettings", "OktaSettings"]


class AzureSettings(Model):
    """Microsoft Graph."""

    fetch_groups: Bool = field(default=False, help="Ask Microsoft Graph for groups at every login.")
    graph_host: Str = field(
        default="", help="The one host that is asked, in place of the hosts of Microsoft Graph."
    )


class GSuiteSettings(Model):
    """The Directory API of a Google Workspace."""

    gsuite_service_account: Secret = field(
        default="",
        # Its `token_uri` says where its assertions go.
        goes_to=("gsuite_service_account",),
        help="A service account: JSON, or the name of a file. By default the credentials of this machine.",
    )
    gsuite_admin_impersonate: Str = field(default="", help="The administrator whom requests are made for.")
    impersonate_principal: Str = field(
        default="", help="The service account that the credentials of this machine sign for."
    )
    domain: Str = field(default="", help="Fetch groups of this domain only.")
    user_custom_schemas: Str = field(default="", help="Custom schemas to fetch, separated by commas.")
    fetch_groups: Bool = field(default=False, help="Fetch groups at every login.")
    fetch_user_info: Bool = field(default=False, help="Fetch custom fields at every login.")
    groups_recurse_max_depth: Int = field(default=0, help="How deep groups of groups are followed.")


class OktaSettings(Model):
    """Okta's administration API."""

    fetch_groups: Bool = field(default=False, help="Ask Okta where a token's list of groups may be cut.")
    api_token: Secret = field(default="", goes_to=("org_url",), help="An API token that may read groups.")
    user_id_claim: Str = field(default="", help="The claim with the user's id. By default 'user_claim'.")
    groups_filter: Str = field(default="", help="A regular expression that groups have to match.")
    groups_cap: Int = field(default=0, help="How many groups a token has at most. By default 100.")
    org_url: Str = field(default="", help="The URL of Okta. By default the host of 'oidc_discovery_url'.")
