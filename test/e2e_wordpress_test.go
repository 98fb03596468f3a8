package test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// wordpressPages are what visitors and an editor look at. Some redirect, and
// some are not there.
var wordpressPages = []string{
	"/?x=1", "/?p=1", "/?s=hush-search", "/?cat=1", "/?feed=rss2", "/?p=918273645", "/index.php/sample-page/?x=1",
	"/index.php/author/editor/?x=1", "/wp-login.php?x=1", "/wp-admin/edit.php?x=1", "/wp-admin/options-general.php?x=1",
	"/wp-admin/upload.php?x=1",
}

// wordpressRounds is how often each page is fetched alone, and then together
// with others.
const wordpressRounds = 3

// TestWordPress browses a WordPress, as Debian has it, in an Apache with PHP
// inside and with a MariaDB: under each page stand as many queries as the
// database's own log has of it.
func TestWordPress(t *testing.T) {
	s := newStage(t)
	maria, err := servers.StartMariaDB(t.Context(), s.scene, servers.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := maria.Run("CREATE DATABASE wordpress", "CREATE USER wordpress@'%' IDENTIFIED BY 'hush-password'",
		"GRANT ALL ON wordpress.* TO wordpress@'%'"); err != nil {
		t.Fatal(err)
	}
	s.watch()
	site := startWordPress(s, maria)
	browser := logIn(t, site)

	asked := make(map[string]int)  // queries of each fetch
	steady := make(map[string]int) // queries of each page when nothing changes
	seen := queriesOf(t, maria)
	for round := range wordpressRounds {
		for n, page := range wordpressPages {
			id := fmt.Sprintf("%d-%d", round, n)
			look(t, browser, site+page+"&id="+id)
			now := queriesOf(t, maria)
			asked[id], steady[page], seen = now-seen, now-seen, now
		}
	}
	var flight sync.WaitGroup
	for n, page := range wordpressPages {
		for round := range wordpressRounds {
			id := fmt.Sprintf("together-%d-%d", round, n)
			asked[id] = steady[page]
			flight.Go(func() { look(t, browser, site+page+"&id="+id) })
		}
	}
	flight.Wait()
	all, total := queriesOf(t, maria)-seen, 0
	for id, n := range asked {
		if strings.HasPrefix(id, "together") {
			total += n
		}
	}
	if all != total {
		t.Errorf("pages that were fetched together made %d queries, one by one %d", all, total)
	}
	under(t, s.settle(), asked, seen+all)
}

// under expects as many queries under each page as were asked for it, and so
// many in all, none of them elsewhere.
func under(t *testing.T, spans rig.Spans, asked map[string]int, all int) {
	t.Helper()
	pages := make(map[string]string) // of server spans, by trace and span id
	for _, span := range spans.Where(rig.Kind("server")) {
		pages[span.TraceID+"/"+span.SpanID] = span.RequestID()
	}
	found, loose := make(map[string]int), 0
	queries := spans.Where(func(span rig.Span) bool { return span.Attributes["db.system.name"] == "mariadb" })
	for _, span := range queries {
		attributes(t, span, "span.kind", "client")
		if page, ok := pages[span.TraceID+"/"+span.ParentID]; ok {
			found[page]++
		} else {
			loose++
		}
	}
	for id, want := range asked {
		if want == 0 || found[id] != want {
			t.Errorf("page %s has %d queries in its trace, and %d in the database's log", id, found[id], want)
		}
	}
	if loose != 0 || len(queries) != all {
		t.Errorf("there are spans of %d queries, %d of them under no page, and %d queries in the database's log", len(queries), loose, all)
	}
	fmt.Printf("WordPress: %d pages, %d queries in the database's log, %d spans, %d of them under no page\n", len(asked), all, len(queries), loose)
	kept(t, queries)
}

// queriesOf is how many queries WordPress has made so far.
func queriesOf(t *testing.T, maria *servers.MariaDB) int {
	t.Helper()
	asked, err := maria.Asked("wordpress")
	if err != nil {
		t.Fatal(err)
	}
	return len(asked)
}

// startWordPress installs a copy of WordPress and serves it. It returns its URL.
func startWordPress(s *stage, maria *servers.MariaDB) string {
	s.Helper()
	port, err := rig.FreePort()
	if err != nil {
		s.Fatal(err)
	}
	dir := filepath.Join(s.scene.Dir, "wordpress")
	if err := os.Mkdir(dir, 0o755); err != nil {
		s.Fatal(err)
	}
	if output, err := exec.Command("cp", "-rL", "/usr/share/wordpress", filepath.Join(dir, "site")).CombinedOutput(); err != nil {
		s.Fatalf("copy WordPress: %v\n%s", err, output)
	}
	php, err := filepath.Glob("/usr/lib/apache2/modules/libphp*.so")
	if err != nil || len(php) == 0 {
		s.Fatal("Apache's PHP is not installed; run test/install")
	}
	words := strings.NewReplacer("DIRECTORY", dir, "PORT", fmt.Sprint(port), "LIBPHP", php[0], "DATABASE", maria.Address)
	for from, to := range map[string]string{"apache.conf": "apache.conf", "wp-config.php": "site/wp-config.php"} {
		text, err := os.ReadFile(filepath.Join(clientsDirectory(s.T), "wordpress", from))
		if err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), []byte(words.Replace(string(text))), 0o644); err != nil {
			s.Fatal(err)
		}
	}
	apache, err := s.scene.Start(rig.Command{
		Name: "apache2", Path: "/usr/sbin/apache2", Args: []string{"-D", "FOREGROUND", "-f", filepath.Join(dir, "apache.conf")},
		Env: []string{"OTEL_SERVICE_NAME=wordpress"},
	})
	if err != nil {
		s.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if err := rig.Listening(s.Context(), apache, "tcp", address); err != nil {
		s.Fatal(err)
	}
	return "http://" + address
}

// logIn installs the site and returns a browser that its editor has logged in
// with.
func logIn(t *testing.T, site string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	post := func(path string, code int, form url.Values) {
		t.Helper()
		response, err := browser.PostForm(site+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != code {
			t.Fatalf("%s: %s", path, response.Status)
		}
	}
	post("/wp-admin/install.php?step=2", http.StatusOK, url.Values{
		"weblog_title": {"Test"}, "user_name": {"editor"}, "admin_password": {"hush-editor"}, "admin_password2": {"hush-editor"},
		"pw_weak": {"1"}, "admin_email": {"editor@example.org"}, "blog_public": {"0"},
	})
	look(t, browser, site+"/wp-login.php?x=1") // sets the cookie that it wants to see
	post("/wp-login.php", http.StatusFound, url.Values{"log": {"editor"}, "pwd": {"hush-editor"}, "testcookie": {"1"}})
	for _, page := range wordpressPages { // first visits write what later ones read
		look(t, browser, site+page)
	}
	return browser
}

// look fetches a page.
func look(t *testing.T, browser *http.Client, page string) {
	t.Helper()
	response, err := browser.Get(page)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	if response.StatusCode >= http.StatusInternalServerError {
		t.Errorf("%s: %s: %s", page, response.Status, tail(string(body), 500))
	}
}
