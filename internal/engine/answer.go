package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
)

// ofRegistry makes what the library says of a registry short: which host did not answer, or did not as it should. With
// hosts.toml that may be another one than the name of the image says. Whole URLs are left out: they may hold secrets.
func ofRegistry(err error) error {
	var at *url.Error
	var status remoteerrors.ErrUnexpectedStatus
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &status): // before the next, which may have it inside: its text has a URL
		return fmt.Errorf("registry %s: %s%s", registryName(status.RequestURL), status.Status, statusText(status))
	case errors.As(err, &at):
		return fmt.Errorf("registry %s: %w", registryName(at.URL), at.Err)
	}
	return err
}

// registryName is the host of a URL. Loopback addresses are named without a scheme: HTTPS was asked for first, then, if
// that is not spoken there, plain HTTP.
func registryName(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return "?"
	case docker.IsLocalhost(u.Host):
		return u.Host
	}
	return u.Scheme + "://" + u.Host
}

// statusText is what is known about an answer beyond its code.
func statusText(s remoteerrors.ErrUnexpectedStatus) string {
	var body struct {
		Errors []struct{ Message string }
	}
	if json.Unmarshal(s.Body, &body) == nil && len(body.Errors) > 0 && body.Errors[0].Message != "" {
		return ": " + body.Errors[0].Message
	}
	if s.StatusCode == http.StatusUnauthorized || s.StatusCode == http.StatusForbidden {
		return ": the credentials are not those that it wants"
	}
	return ""
}
