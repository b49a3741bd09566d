#include "tricks.h"

char part[32], where[256];

/* Everything in one program; each part twice where it is about files: on the
 * overlay root and on a tmpfs. */
int main(int argc, char **argv)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	calls();
	agent();
	network();
	snprintf(where, sizeof where, "%s/project", getenv("HOME"));
	files();
	programs();
	snprintf(where, sizeof where, "/tmp");
	files();
	programs();
	signals();
	printf("CASE end OK\n");
	return 0;
}
