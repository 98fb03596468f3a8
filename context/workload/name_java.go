package workload

import (
	"path"
	"regexp"
	"strings"
)

// javaValued are the options of the java launcher that take the next argument
// as their value ("java --help-extra", JDK 8 to 25).
var javaValued = map[string]bool{
	"-cp": true, "-classpath": true, "--class-path": true,
	"-p": true, "--module-path": true, "--upgrade-module-path": true,
	"--add-modules": true, "--add-reads": true, "--add-exports": true, "--add-opens": true,
	"--limit-modules": true, "--patch-module": true, "--enable-native-access": true,
	"--source": true, "-d": true, "--describe-module": true,
}

// javaKnown names the programs behind launchers that serve many.
var javaKnown = map[string]string{
	"org.apache.catalina.startup.Bootstrap":                              "tomcat",
	"jboss-modules":                                                      "wildfly",
	"kafka.Kafka":                                                        "kafka",
	"org.apache.kafka.connect.cli.ConnectDistributed":                    "kafka-connect",
	"org.apache.zookeeper.server.quorum.QuorumPeerMain":                  "zookeeper",
	"org.apache.cassandra.service.CassandraDaemon":                       "cassandra",
	"org.elasticsearch.bootstrap.Elasticsearch":                          "elasticsearch",
	"org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch": "elasticsearch",
	"org.opensearch.bootstrap.OpenSearch":                                "opensearch",
}

const (
	// maxArgFiles bounds how many @files of a command line are read.
	maxArgFiles = 4
	// argFileLimit bounds one of them; the longest hold a class path.
	argFileLimit = 64 << 10
)

// javaName finds what the java launcher was told to run: a jar, a class, a
// module's class, or a source file.
func javaName(s *subject) string {
	args := s.args
	files, expand, jar := 0, true, false
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--disable-@files":
			expand = false
		case expand && len(arg) > 1 && arg[0] == '@' && arg[1] != '@':
			if files++; files > maxArgFiles {
				return ""
			}
			content, err := s.readFile(s.absolute(arg[1:]), argFileLimit)
			if err != nil {
				return "" // what it holds could be anything, the class included
			}
			rest := args[i+1:]
			args = append(append([]string{""}, parseArgFile(string(content))...), rest...)
			i = 0
		case arg == "-jar":
			jar = true
		case arg == "-m" || arg == "--module":
			if i+1 < len(args) {
				return s.className(args[i+1])
			}
		case strings.HasPrefix(arg, "--module="):
			return s.className(arg[len("--module="):])
		case javaValued[arg]:
			i++
		case strings.HasPrefix(arg, "-"):
		case jar || strings.HasSuffix(arg, ".jar"):
			return s.jarName(arg)
		default:
			return s.className(arg)
		}
	}
	return ""
}

// jarVersion is the version that build tools put behind the name of a jar. A
// service must not change its name with every release.
var jarVersion = regexp.MustCompile(`-v?[0-9]+(\.[0-9]+)+([.-][0-9A-Za-z.-]*)?$|-SNAPSHOT$`)

func (s *subject) jarName(jar string) string {
	name := jarVersion.ReplaceAllString(trimExtension(path.Base(jar)), "")
	if known := javaKnown[name]; known != "" {
		return known
	}
	if vague[name] {
		if directory := directoryName(path.Dir(s.absolute(jar))); directory != "" {
			return directory
		}
	}
	return name
}

// className names a service by its main class, with its package: "Main" alone
// would name half of all services.
func (s *subject) className(class string) string {
	if known := javaKnown[class]; known != "" {
		return known
	}
	if strings.HasSuffix(class, ".java") { // a source file run as it is
		return s.scriptName(class)
	}
	if module, main, ok := strings.Cut(class, "/"); ok && !strings.Contains(main, "/") && strings.Contains(main, ".") {
		class = main // of MODULE/CLASS the class
	} else if ok && module != "" {
		class = strings.ReplaceAll(class, "/", ".") // com/acme/Main is legal too
	}
	// The loaders of an unpacked Spring Boot jar start any program, and vague
	// classes without a package tell nothing: look at where they run.
	if strings.HasPrefix(class, "org.springframework.boot.loader.") {
		return directoryName(s.cwd())
	}
	if vague[strings.ToLower(class)] {
		if directory := directoryName(s.cwd()); directory != "" {
			return directory
		}
	}
	return class
}

// parseArgFile splits the content of an @argfile: words separated by white
// space, quotes of either kind with backslash escapes inside, '#' to the end of
// the line. See the java command's manual, "java Command-Line Argument Files".
func parseArgFile(content string) []string {
	var args []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	flush := func() {
		if inWord {
			args = append(args, word.String())
			word.Reset()
			inWord = false
		}
	}
	for i := 0; i < len(content); i++ {
		c := content[i]
		switch {
		case quote != 0 && c == '\\' && i+1 < len(content):
			i++
			word.WriteByte(content[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			flush()
		case c == '#' && !inWord:
			for i+1 < len(content) && content[i+1] != '\n' {
				i++
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	flush()
	return args
}
