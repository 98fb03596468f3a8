package workload

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// Variables of a target's environment that name it.
const (
	envServiceName = "OTEL_SERVICE_NAME"
	envResource    = "OTEL_RESOURCE_ATTRIBUTES"
	envFlaskApp    = "FLASK_APP"
	envDjango      = "DJANGO_SETTINGS_MODULE"
	envRelease     = "RELEASE_NAME" // set by the start script of an Elixir release
)

const (
	// maxResourceAttributes is the SDKs' default limit for attributes.
	maxResourceAttributes = 128
	// maxValue bounds one attribute value in bytes, so that a hostile
	// environment cannot make every batch huge.
	maxValue = 1024
)

// parseResource reads OTEL_RESOURCE_ATTRIBUTES: key=value pairs separated by
// commas, both percent-encoded. Any error discards the whole value, as the
// specification demands (OpenTelemetry, Resource SDK, "Specifying resource
// information via an environment variable"); only empty elements, the mark of a
// trailing comma, are passed over.
func parseResource(value string) ([]attribute.KeyValue, error) {
	var attributes []attribute.KeyValue
	for pair := range strings.SplitSeq(value, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		key, text, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, errors.New("parse resource attributes: an element has no '='")
		}
		key, err := url.PathUnescape(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("decode resource attribute key: %w", err)
		}
		if text, err = url.PathUnescape(strings.TrimSpace(text)); err != nil {
			return nil, fmt.Errorf("decode resource attribute value: %w", err)
		}
		if key = clean(key, maxValue); key == "" {
			return nil, errors.New("parse resource attributes: an element has no key")
		}
		if len(attributes) == maxResourceAttributes {
			return nil, fmt.Errorf("parse resource attributes: more than %d", maxResourceAttributes)
		}
		attributes = append(attributes, attribute.String(key, clean(text, maxValue)))
	}
	return attributes, nil
}

// clean makes text fit for an attribute: valid UTF-8, which protobuf demands,
// without control characters, which a terminal would obey, and bounded.
func clean(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text))
}
