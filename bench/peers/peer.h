/* What the programs of the TAP benchmark that are written in C share. The ports are macros, from the compiler's command line. */

#ifndef PEER_H
#define PEER_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if !defined(DISCARD_PORT) || !defined(SOURCE_PORT) || !defined(ECHO_PORT) || !defined(UDP_PORT)
#error "ports are given by -DDISCARD_PORT=... and so on"
#endif

enum { BLOCK = 131072 };

/* Ends the program with the reason why a system call failed. */
static inline void die(const char *what) {
  perror(what);
  exit(1);
}

/* Ends the program if a system call failed; else what it returned. */
static inline int check(int result, const char *what) {
  if (result < 0) die(what);
  return result;
}

/* Seconds of a clock that only goes forward. */
static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A service says so when it can be asked. */
static inline void say_ready(void) {
  puts("ready");
  fflush(stdout);
}

#endif
