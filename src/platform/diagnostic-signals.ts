// Signals of those who may signal the process, which by the kernel's rules are its user and root.

/**
 * Calls `takeProfile` at SIGUSR2, and `refuse` at SIGUSR1, with which Node would open its debugger's port: whoever
 * reaches that port can run code in the process. (The launcher has Node block SIGUSR1; this is for those who start it
 * without.) Disposing gives SIGUSR2 back; SIGUSR1 stays harmless.
 */
export function onDiagnosticSignals(takeProfile: () => void, refuse: () => void): Disposable {
  process.on('SIGUSR2', takeProfile);
  process.on('SIGUSR1', refuse);
  return { [Symbol.dispose]: () => void process.off('SIGUSR2', takeProfile) };
}
