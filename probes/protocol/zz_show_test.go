package protocol

import (
	"fmt"
	"os"
	"testing"
)

func TestZZShow(t *testing.T) {
	n := os.Getenv("SHOW")
	if n == "" {
		t.Skip()
	}
	got, counts := readTalk(t, n).play(RoleClient, whole, 0)
	for _, x := range got {
		fmt.Printf("\t\t`%s`,\n", tell(x))
	}
	fmt.Println(counts)
}
