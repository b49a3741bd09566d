#include "tricks.h"

/* Held calls under signals: what they answer, and that none is answered by
 * something else. Each loop says which answers there were. */
static volatile int stop;
static void nothing(int signal) { (void)signal; }

static void storm(int restart)
{
	struct sigaction a = { .sa_handler = nothing, .sa_flags = restart ? SA_RESTART : 0 };
	struct itimerval every = { { 0, 700 }, { 0, 700 } };
	sigaction(SIGALRM, &a, 0);
	setitimer(ITIMER_REAL, &every, 0);
}

static void calm(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &never, 0);
	signal(SIGALRM, SIG_DFL);
}

/* EACCES, EINTR, or what else. */
static void tries(const char *name, int count)
{
	static char words[1][2] = { "x" };
	char *argv[] = { words[0], 0 };
	int eacces = 0, eintr = 0, other = 0;
	char *program = strdup(at("stop/prog")), *file = strdup(at("no-write/new"));
	for (int i = 0; i < count; i++) {
		errno = 0;
		long r = i & 1 ? execve(program, argv, 0) : open(file, O_CREAT | O_WRONLY, 0644);
		if (r < 0 && errno == EACCES)
			eacces++;
		else if (r < 0 && errno == EINTR)
			eintr++;
		else
			other = errno ? errno : -1;
	}
	calm();
	char answer[64];
	snprintf(answer, sizeof answer, other ? "?%d" : eintr ? "EACCES+EINTR" : "EACCES", other);
	told(name, eacces ? answer : "NEVER");
}

static volatile sig_atomic_t enough;

static void stop_spam(int signal)
{
	(void)signal;
	enough = 1;
}

static pid_t spam(int first, int second)
{
	pid_t whom = getpid(), child = fork();
	if (!child) {
		signal(SIGTERM, stop_spam);
		while (!enough) {
			kill(whom, first);
			usleep(300);
			kill(whom, second);
			usleep(300);
		}
		/* It may have been stopped while it told us to end. */
		kill(whom, second);
		_exit(0);
	}
	return child;
}

static void unspam(pid_t child)
{
	kill(child, SIGTERM);
	waitpid(child, 0, 0);
}

static void killed_while_held(void)
{
	char *argv[] = { "x", 0 }, *program = strdup(at("stop/prog"));
	for (int i = 0; i < 60; i++) {
		pid_t child = fork();
		if (!child)
			for (;;)
				execve(program, argv, 0);
		usleep(1500 + i * 40);
		kill(child, SIGKILL);
		waitpid(child, 0, 0);
	}
}

/* As many as the limit lets live, each asking all the time. */
static long bomb(void)
{
	char *argv[] = { "x", 0 }, *program = strdup(at("stop/prog"));
	int made = 0, refused = 0;
	pid_t children[1024];
	for (int i = 0; i < 1024; i++) {
		pid_t child = fork();
		if (!child)
			for (int n = 0; n < 5; n++) {
				execve(program, argv, 0);
				if (errno != EACCES)
					_exit(errno);
				if (n == 4)
					for (;;)
						pause();
			}
		if (child < 0) {
			refused = errno;
			break;
		}
		children[made++] = child;
	}
	sleep(2);
	int wrong = 0, status;
	for (int i = 0; i < made; i++) {
		kill(children[i], SIGKILL);
		if (waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status))
			wrong = WEXITSTATUS(status);
	}
	errno = wrong ? wrong : refused;
	return wrong || !refused ? (errno = wrong ? wrong : ENODATA, -1) : refused == EAGAIN ? 0 : -1;
}

void signals(void)
{
	snprintf(part, sizeof part, "signal:");
	begin("handler");
	storm(0);
	tries("handler", 200);
	begin("restarting-handler");
	storm(1);
	tries("restarting-handler", 200);
	begin("continue-spam");
	pid_t child = spam(SIGCONT, SIGCONT);
	tries("continue-spam", 200);
	unspam(child);
	begin("stop-and-continue");
	child = spam(SIGSTOP, SIGCONT);
	tries("stop-and-continue", 100);
	unspam(child);
	begin("killed-while-held");
	killed_while_held();
	told("killed-while-held", "OK");
	CASE("bomb", bomb());
	begin("afterwards");
	tries("afterwards", 10);
}
