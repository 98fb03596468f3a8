// Package deploy checks what an operator applies, in the types of Kubernetes
// itself: a field that does not exist, or stands in the wrong place, fails.
package deploy

import (
	"bufio"
	"errors"
	"io"
	"os"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const manifest = "../../deploy/daemonset.yaml"

// documents returns the documents of the manifest.
func documents(t *testing.T) [][]byte {
	t.Helper()
	file, err := os.Open(manifest)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(file))
	var found [][]byte
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, document)
	}
}

// decode finds the one document of a kind and decodes it strictly.
func decode[T any](t *testing.T, apiVersion, kind string) *T {
	t.Helper()
	var found *T
	for _, document := range documents(t) {
		var about metav1.TypeMeta
		if err := yaml.Unmarshal(document, &about); err != nil {
			t.Fatal(err)
		}
		if about.APIVersion != apiVersion || about.Kind != kind {
			continue
		}
		if found != nil {
			t.Fatalf("two documents of kind %s", kind)
		}
		found = new(T)
		if err := strictly(document, found); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	if found == nil {
		t.Fatalf("no document of kind %s", kind)
	}
	return found
}

// strictly decodes as the API server does: the letter case of names counts, and
// no field is unknown or given twice.
func strictly(document []byte, into any) error {
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(text, into)
	return errors.Join(append(strict, err)...)
}

func TestEveryDocumentIsKnown(t *testing.T) {
	decode[corev1.Namespace](t, "v1", "Namespace")
	decode[corev1.ServiceAccount](t, "v1", "ServiceAccount")
	decode[appsv1.DaemonSet](t, "apps/v1", "DaemonSet")
	if n := len(documents(t)); n != 3 {
		t.Errorf("%d documents in the manifest, checked 3", n)
	}
}

// TestStrictDecodingRefuses makes sure that the check above can fail.
func TestStrictDecodingRefuses(t *testing.T) {
	text := []byte("apiVersion: apps/v1\nkind: DaemonSet\nspec: {template: {spec: {hostPid: true}}}\n")
	if err := strictly(text, new(appsv1.DaemonSet)); err == nil {
		t.Error("hostPid, which is spelled hostPID, was accepted")
	}
}

func TestDaemonSetHoldsTogether(t *testing.T) {
	set := decode[appsv1.DaemonSet](t, "apps/v1", "DaemonSet")
	account := decode[corev1.ServiceAccount](t, "v1", "ServiceAccount")
	namespace := decode[corev1.Namespace](t, "v1", "Namespace")
	pod := set.Spec.Template.Spec

	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || !selector.Matches(labels.Set(set.Spec.Template.Labels)) {
		t.Errorf("the selector %v does not select the pods (%v)", set.Spec.Selector, err)
	}
	if set.Namespace != namespace.Name || account.Namespace != namespace.Name {
		t.Errorf("namespaces differ: %q, %q, %q", set.Namespace, account.Namespace, namespace.Name)
	}
	if pod.ServiceAccountName != account.Name {
		t.Errorf("service account %q is not in the manifest", pod.ServiceAccountName)
	}
	if !pod.HostPID {
		t.Error("hostPID is off: process numbers would not be those of the kernel")
	}
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	checkContainer(t, pod.Containers[0])
	checkPaths(t, pod)
}

// checkPaths makes sure that the container gets the host's control groups where
// the agent looks for them, and no other part of the host.
func checkPaths(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	const cgroups = "/sys/fs/cgroup"
	if len(pod.Volumes) != 1 || pod.Volumes[0].HostPath == nil || pod.Volumes[0].HostPath.Path != cgroups {
		t.Fatalf("volumes %v, want the host's %s", pod.Volumes, cgroups)
	}
	mounts := pod.Containers[0].VolumeMounts
	if len(mounts) != 1 || mounts[0].Name != pod.Volumes[0].Name || mounts[0].MountPath != cgroups || mounts[0].ReadOnly {
		t.Errorf("mounts %v, want %s, writable", mounts, cgroups)
	}
}

func checkContainer(t *testing.T, c corev1.Container) {
	t.Helper()
	if s := c.SecurityContext; s == nil || s.Privileged == nil || *s.Privileged {
		t.Error("the container is privileged")
	} else if s.Capabilities == nil || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
		t.Error("capabilities are not dropped before the named ones are added")
	}
	ports := make(map[string]bool)
	for _, p := range c.Ports {
		ports[p.Name] = true
	}
	for name, probe := range map[string]*corev1.Probe{
		"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe,
	} {
		if probe == nil || probe.HTTPGet == nil || !ports[probe.HTTPGet.Port.StrVal] {
			t.Errorf("the %s probe does not ask a port of the container", name)
		}
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Error("no memory limit or no request for processor time")
	}
}
