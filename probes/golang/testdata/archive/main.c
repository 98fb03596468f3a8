extern void Request(char *kind);

static __thread int calls;

int main(int argc, char **argv)
{
	calls++;
	Request(argv[argc - 1]);
	return calls - 1;
}
