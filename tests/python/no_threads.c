// Loaded before the C library: no more than MOST_THREADS threads can be started.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_int live;

struct start {
  void* (*run)(void*);
  void* argument;
};

static void* run(void* x) {
  struct start s = *(struct start*)x;
  free(x);
  void* out = s.run(s.argument);
  --live;
  return out;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                   void* (*f)(void*), void* argument) {
  static int (*real)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  if (real == NULL)
    *(void**)&real = dlsym(RTLD_NEXT, "pthread_create");
  const char* most = getenv("MOST_THREADS");
  if (most != NULL && live >= atoi(most))
    return EAGAIN;
  struct start* s = malloc(sizeof *s);
  s->run = f;
  s->argument = argument;
  ++live;
  int failed = real(thread, attributes, run, s);
  if (failed) {
    --live;
    free(s);
  }
  return failed;
}
