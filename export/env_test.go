package export

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// writeCertificate makes a self-signed certificate for 127.0.0.1 and returns
// the files of it and of its key.
func writeCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestOTLPMutualTLS(t *testing.T) {
	certificate, key := writeCertificate(t)
	clientCertificate, clientKey := writeCertificate(t)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clientPEM, err := os.ReadFile(clientCertificate)
	if err != nil {
		t.Fatal(err)
	}
	clients.AppendCertsFromPEM(clientPEM)
	s := &sink{}
	address, _ := s.serve(t, "127.0.0.1:0", grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	})))

	t.Run("trusted", func(t *testing.T) {
		t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate)
		t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", clientCertificate)
		t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", clientKey)
		o, _ := startOTLP(t, "https://"+address)
		o.Export(testSpan(testProcess(1, "shop"), 1))
		eventually(t, "a span accepted over TLS", func() bool { return counts(o)["kept"] == 1 })
	})
	t.Run("unknown authority", func(t *testing.T) {
		o, logs := startOTLP(t, "https://"+address)
		eventually(t, "the reason logged", func() bool { return logs.Len() > 0 })
		if reason := logs.All()[0].ContextMap()["error"].(string); !strings.Contains(reason, "certificate") {
			t.Errorf("error %q does not speak of the certificate", reason)
		}
		if o.Accepted() {
			t.Error("a backend with an unknown certificate was accepted")
		}
	})
}

func TestCheckOTLPEnv(t *testing.T) {
	certificate, key := writeCertificate(t)
	tests := []struct {
		name, variable, value, want string // want: part of the error; empty for none
	}{
		{"plain endpoint", "ENDPOINT", "http://localhost:4317", ""},
		{"TLS endpoint", "ENDPOINT", "https://traces.example.com", ""},
		{"gRPC target", "ENDPOINT", "localhost:4317", ""},
		{"unix endpoint", "ENDPOINT", "unix:///run/otlp.sock", ""},
		{"endpoint without scheme", "ENDPOINT", "127.0.0.1:4317", "is not a URL"},
		{"endpoint without host", "ENDPOINT", "http://", "names no host"},
		{"bare word", "ENDPOINT", "collector", "needs a scheme"},
		{"gRPC", "PROTOCOL", "grpc", ""},
		{"HTTP", "PROTOCOL", "http/protobuf", "only grpc"},
		{"gzip", "COMPRESSION", "gzip", ""},
		{"none", "COMPRESSION", "none", ""},
		{"zstd", "COMPRESSION", "zstd", "only gzip or none"},
		{"insecure", "INSECURE", "TRUE", ""},
		{"not boolean", "INSECURE", "1", "only true or false"},
		{"timeout", "TIMEOUT", "2500", ""},
		{"timeout with unit", "TIMEOUT", "10s", "milliseconds"},
		{"headers", "HEADERS", "a=b,c=d%20e", ""},
		{"header without value", "HEADERS", "a=b,token", "part 2"},
		{"header with bad escape", "HEADERS", "a=%zz", "percent-encoded"},
		{"certificate", "CERTIFICATE", certificate, ""},
		{"no certificate file", "CERTIFICATE", "/does/not/exist", "no such file"},
		{"not a certificate", "CERTIFICATE", key, "no certificate in PEM form"},
		{"certificate without key", "CLIENT_CERTIFICATE", certificate, "without the other"},
	}
	for _, test := range tests {
		for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
			t.Run(test.name, func(t *testing.T) {
				name := prefix + test.variable
				err := CheckOTLPEnv(func(asked string) string {
					if asked == name {
						return test.value
					}
					return ""
				})
				switch {
				case test.want == "" && err != nil:
					t.Errorf("refused: %v", err)
				case test.want != "" && err == nil:
					t.Errorf("accepted %q", test.value)
				case test.want != "" && (!strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), test.want)):
					t.Errorf("error %q, want %s and %q in it", err, name, test.want)
				}
			})
		}
	}
}

func TestCheckOTLPEnvReportsAllAtOnce(t *testing.T) {
	err := CheckOTLPEnv(func(name string) string {
		switch name {
		case "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION":
			return "wrong"
		case "OTEL_EXPORTER_OTLP_HEADERS":
			return "authorization=ok,secret-without-equals"
		}
		return ""
	})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Fatalf("want three errors, got %v", err)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Error("the error repeats a header")
	}
}

func TestBatchingFromEnv(t *testing.T) {
	env := map[string]string{}
	getenv := func(name string) string { return env[name] }
	b, err := BatchingFromEnv(getenv)
	if want := (Batching{16384, 512, 5 * time.Second, 30 * time.Second}); b != want || err != nil {
		t.Errorf("defaults %+v, %v, want %+v", b, err, want)
	}
	env = map[string]string{
		"OTEL_BSP_MAX_QUEUE_SIZE":        "100",
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "400",
		"OTEL_BSP_SCHEDULE_DELAY":        " 200 ",
		"OTEL_BSP_EXPORT_TIMEOUT":        "1000",
	}
	b, err = BatchingFromEnv(getenv)
	if want := (Batching{100, 100, 200 * time.Millisecond, time.Second}); b != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", b, err, want)
	}
	env = map[string]string{
		"OTEL_BSP_MAX_QUEUE_SIZE":        "-1",
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "0",
		"OTEL_BSP_SCHEDULE_DELAY":        "5s",
		"OTEL_BSP_EXPORT_TIMEOUT":        "99999999999999999999",
	}
	_, err = BatchingFromEnv(getenv)
	for name := range env {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not name %s", err, name)
		}
	}
	env = map[string]string{"OTEL_BSP_MAX_QUEUE_SIZE": "2000000000"}
	if _, err = BatchingFromEnv(getenv); err == nil {
		t.Error("a queue of two billion spans was accepted")
	}
}
