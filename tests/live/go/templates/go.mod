module authkit.dev/live/templates

go 1.25.0

require (
	github.com/hashicorp/vault/sdk v0.20.0
	github.com/ryanuber/go-glob v1.0.0
)

require (
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/hashicorp/go-secure-stdlib/base62 v0.1.2 // indirect
	github.com/hashicorp/go-uuid v1.0.3 // indirect
)
