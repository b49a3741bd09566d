// A thread turns the path over while another executes it: the check must never
// be about one file and the execution about the other. Prints WON n OF m RAN k.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];
static volatile int stop;

static void *turn(void *_) {
	while (!stop) {
		memcpy(path, "/tmp/plain/a", 13);
		asm volatile("" ::: "memory");
		for (volatile int i = 0; i < 300; i++);
		memcpy(path, "/tmp/.hid/b\0", 13);
		asm volatile("" ::: "memory");
		for (volatile int i = 0; i < 300; i++);
	}
	return 0;
}

int main(int argc, char **argv) {
	int tries = atoi(argv[1]), won = 0, ran = 0;
	for (int i = 0; i < tries; i++) {
		pid_t child = fork();
		if (!child) {
			pthread_t t;
			char *words[] = {"x", 0};
			pthread_create(&t, 0, turn, 0);
			usleep(100 + i % 7 * 50);
			execv(path, words);
			_exit(99);
		}
		int status = 0;
		waitpid(child, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 7)
			won++;
		else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			ran++;
	}
	printf("WON %d OF %d RAN %d\n", won, tries, ran);
	return 0;
}
