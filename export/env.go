package export

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Batching says how spans wait and travel.
type Batching struct {
	// Queue is how many spans may wait (OTEL_BSP_MAX_QUEUE_SIZE). The standard
	// says 2048 for one program; this agent carries a whole node, and 16384
	// bridge a pause of half a second at 30,000 spans a second. A waiting span
	// takes about 1.5 KiB.
	Queue int
	// Size is how many spans make one request at most
	// (OTEL_BSP_MAX_EXPORT_BATCH_SIZE, 512).
	Size int
	// Delay is how long a span waits for others at most
	// (OTEL_BSP_SCHEDULE_DELAY in milliseconds, 5 s).
	Delay time.Duration
	// Timeout bounds one request with all its retries
	// (OTEL_BSP_EXPORT_TIMEOUT in milliseconds, 30 s). The client's own
	// OTEL_EXPORTER_OTLP_TIMEOUT, 10 s, is usually the tighter one.
	Timeout time.Duration
}

// check refuses what would stop the exporter from working at all.
func (b Batching) check() error {
	if b.Queue <= 0 || b.Size <= 0 || b.Delay <= 0 || b.Timeout <= 0 {
		return errors.New("queue, batch size, delay and timeout must be positive")
	}
	return nil
}

// BatchingFromEnv reads OTEL_BSP_*. The error names every variable that holds
// something else than a positive whole number; those have their default.
func BatchingFromEnv(getenv func(string) string) (Batching, error) {
	var errs []error
	number := func(name string, fallback int) int {
		text := strings.TrimSpace(getenv(name))
		if text == "" {
			return fallback
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n <= 0 {
			errs = append(errs, fmt.Errorf("%s: %q is not a positive whole number", name, text))
			return fallback
		}
		return int(n)
	}
	b := Batching{
		Queue:   number("OTEL_BSP_MAX_QUEUE_SIZE", 16384),
		Size:    number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
		Delay:   time.Duration(number("OTEL_BSP_SCHEDULE_DELAY", 5000)) * time.Millisecond,
		Timeout: time.Duration(number("OTEL_BSP_EXPORT_TIMEOUT", 30000)) * time.Millisecond,
	}
	if b.Queue > maxQueue {
		errs = append(errs, fmt.Errorf("OTEL_BSP_MAX_QUEUE_SIZE: %d is more than %d", b.Queue, maxQueue))
		b.Queue = maxQueue
	}
	// A batch that does not fit in the queue would only ever leave by delay.
	b.Size = min(b.Size, b.Queue)
	return b, errors.Join(errs...)
}

// maxQueue bounds what a typing error can cost: about 1.5 GiB when full.
const maxQueue = 1 << 20

// CheckOTLPEnv checks the OTEL_EXPORTER_OTLP_* variables. The client itself
// only remarks on a bad value and goes on with its default, which would send
// traces to another place, or in the clear. The error names every bad variable.
func CheckOTLPEnv(getenv func(string) string) error {
	var errs []error
	// Variables for traces only come second, as they win.
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		check := func(name string, valid func(string) error) {
			value := strings.TrimSpace(getenv(prefix + name))
			if value == "" {
				return
			}
			if err := valid(value); err != nil {
				errs = append(errs, fmt.Errorf("%s%s: %w", prefix, name, err))
			}
		}
		check("ENDPOINT", checkEndpoint)
		check("PROTOCOL", oneOf("grpc"))
		check("COMPRESSION", oneOf("gzip", "none"))
		check("INSECURE", oneOf("true", "false"))
		check("TIMEOUT", checkMilliseconds)
		check("HEADERS", checkHeaders)
		check("CERTIFICATE", checkCertificate)
		certificate := strings.TrimSpace(getenv(prefix + "CLIENT_CERTIFICATE"))
		key := strings.TrimSpace(getenv(prefix + "CLIENT_KEY"))
		if err := checkClientCertificate(certificate, key); err != nil {
			errs = append(errs, fmt.Errorf("%sCLIENT_CERTIFICATE, %[1]sCLIENT_KEY: %w", prefix, err))
		}
	}
	return errors.Join(errs...)
}

func checkEndpoint(value string) error {
	// The URL may hold credentials, so messages do not repeat it.
	u, err := url.Parse(value)
	if err != nil {
		return errors.New("is not a URL such as http://localhost:4317")
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return errors.New("names no host; expected something like http://localhost:4317")
		}
	case "":
		return errors.New("needs a scheme: http:// (in the clear) or https:// (TLS)")
	}
	return nil // "host:4317", "dns:…" and "unix:…" are targets that gRPC knows
}

func oneOf(values ...string) func(string) error {
	return func(value string) error {
		for _, v := range values {
			if strings.EqualFold(v, value) {
				return nil
			}
		}
		return fmt.Errorf("%q is not supported, only %s", value, strings.Join(values, " or "))
	}
}

func checkMilliseconds(value string) error {
	if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 0 {
		return fmt.Errorf("%q is not a number of milliseconds", value)
	}
	return nil
}

// checkHeaders never repeats a header: their values are often secrets.
func checkHeaders(value string) error {
	for i, pair := range strings.Split(value, ",") {
		name, text, found := strings.Cut(pair, "=")
		if !found || strings.TrimSpace(name) == "" {
			return fmt.Errorf("part %d is not of the form name=value", i+1)
		}
		if _, err := url.PathUnescape(text); err != nil {
			return fmt.Errorf("the value of %q is not correctly percent-encoded", strings.TrimSpace(name))
		}
	}
	return nil
}

func checkCertificate(file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read certificates: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return nil
}

func checkClientCertificate(certificate, key string) error {
	if certificate == "" && key == "" {
		return nil
	}
	if certificate == "" || key == "" {
		return errors.New("one is set without the other")
	}
	if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
		return fmt.Errorf("load client certificate: %w", err)
	}
	return nil
}
