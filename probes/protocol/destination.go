package protocol

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// addressed names the span after what a message is sent to or comes from, and
// records that by the messaging conventions. In the name of the span the parts
// that look made up for one occasion are placeholders; where that makes a
// difference it is messaging.destination.template.
func (q *query) addressed(name, template string) {
	q.text(semconv.MessagingDestinationNameKey, name)
	q.Target = strings.Clone(validUTF8(template))
	if template != name {
		q.TargetKey = semconv.MessagingDestinationTemplateKey
	}
}

// messaging says what is done with a message. what is empty for that for which
// the conventions have no type.
func (q *query) messaging(system attribute.KeyValue, operation string, what attribute.KeyValue) {
	q.Operation = operation
	q.attributes = append(make([]attribute.KeyValue, 0, 14), system, semconv.MessagingOperationName(operation))
	if what.Valid() {
		q.attributes = append(q.attributes, what)
	}
}

// subjectTemplate replaces the words of a dotted name that look like values, as
// appendRoute does in paths.
func subjectTemplate(name string) string {
	if isWord([]byte(name)) {
		return name
	}
	words := strings.Split(name, ".")
	changed := false
	for i, word := range words {
		if placeholder := classify([]byte(word)); placeholder != "" {
			words[i], changed = placeholder, true
		}
	}
	if !changed {
		return name
	}
	return strings.Join(words, ".")
}
