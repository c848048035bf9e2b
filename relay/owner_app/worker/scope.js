/**
 * Types of a service worker's global scope, as used here: TypeScript's own conflict with those of
 * a page. No code.
 *
 * @typedef {Event & {waitUntil: (work: Promise<unknown>) => void}} WorkerEvent
 * @typedef {WorkerEvent & {request: Request, respondWith: (answer: Promise<Response>) => void}} FetchEvent
 * @typedef {WorkerEvent & {data: {text: () => string} | null}} PushEvent
 * @typedef {WorkerEvent & {action: string, notification: Notification}} NotificationEvent
 * @typedef {{url: string, focused: boolean, visibilityState: string, focus: () => Promise<unknown>, postMessage: (message: unknown) => void}} WindowClient
 * @typedef {{matchAll: (which: {type: "window", includeUncontrolled: boolean}) => Promise<WindowClient[]>, openWindow: (url: string) => Promise<unknown>}} Clients
 * @typedef {{install: WorkerEvent, activate: WorkerEvent, fetch: FetchEvent, push: PushEvent, notificationclick: NotificationEvent, pushsubscriptionchange: WorkerEvent, message: MessageEvent}} WorkerEvents
 * @typedef {object} WorkerScope
 * @property {ServiceWorkerRegistration} registration
 * @property {Clients} clients
 * @property {() => Promise<void>} skipWaiting
 * @property {<K extends keyof WorkerEvents>(type: K, listener: (event: WorkerEvents[K]) => void) => void} addEventListener
 *
 * @typedef {{action: string, title: string}} NotificationAction
 * @typedef {NotificationOptions & {actions?: NotificationAction[], image?: string, renotify?: boolean, timestamp?: number, vibrate?: number[]}} RingOptions
 * @module
 */
export {};
