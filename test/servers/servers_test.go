package servers

import (
	"slices"
	"testing"

	"github.com/clewtrace/clew/test/rig"
)

func openScene(t *testing.T) *rig.Scene {
	t.Helper()
	if obstacle := rig.Obstacle(); obstacle != "" {
		t.Skip(obstacle)
	}
	scene, err := rig.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := scene.Close(); err != nil {
			t.Error(err)
		}
	})
	return scene
}

// same expects a record without those whose client has no name.
func same(t *testing.T, got, want []Statement) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// TestPostgres checks that the record tells what was executed and what failed,
// each once.
func TestPostgres(t *testing.T) {
	s := openScene(t)
	p, err := StartPostgres(t.Context(), s, Config{})
	if err != nil {
		t.Fatal(err)
	}
	psql, err := s.StartOutside(rig.Command{
		Name: "psql", Path: "psql", Env: []string{"PGAPPNAME=somebody", "PGHOST=127.0.0.1"},
		Args: []string{"-X", "-p", p.Address[len("127.0.0.1:"):], "-U", "postgres",
			"-c", "SELECT 1", "-c", "SELECT\n\t'two: lines'", "-c", "SELEC 2", "-c", "SELECT 1 / 0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := psql.Wait(); err == nil {
		t.Error("psql did not say that its last statement failed")
	}
	got, err := p.Statements()
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, []Statement{
		{"somebody", "SELECT 1", ""}, {"somebody", "SELECT\n\t'two: lines'", ""},
		{"somebody", "SELEC 2", "42601"}, {"somebody", "SELECT 1 / 0", "22012"},
	})
}

// TestMariaDB checks that the record tells what was executed and what failed,
// each once.
func TestMariaDB(t *testing.T) {
	s := openScene(t)
	m, err := StartMariaDB(t.Context(), s, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run("CREATE DATABASE somebody"); err != nil {
		t.Fatal(err)
	}
	client, err := s.StartOutside(rig.Command{
		Name: "mariadb", Path: "mariadb",
		Args: []string{"--no-defaults", "-u", "root", "-S", m.Socket, "somebody",
			"-e", "SELECT 1; SELECT\n\t2; CREATE TEMPORARY TABLE t (i INT PRIMARY KEY); INSERT INTO t VALUES (1), (1)"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Wait(); err == nil {
		t.Error("mariadb did not say that its last statement failed")
	}
	got, err := m.Statements()
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, []Statement{
		{"somebody", "SELECT 1", ""}, {"somebody", "SELECT\n\t2", ""},
		{"somebody", "CREATE TEMPORARY TABLE t (i INT PRIMARY KEY)", ""}, {"somebody", "INSERT INTO t VALUES (1), (1)", "1062"},
	})
}
