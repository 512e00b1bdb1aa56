/** The examples together, as one application: for a cluster that runs all of them. */
import '../../node/examples/chat.ts'
import '../../node/examples/counter.ts'
import '../../node/examples/echo.ts'
