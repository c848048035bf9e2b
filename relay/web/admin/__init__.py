"""The administrators' face, at /admin: moderation, agencies, accounts, onboarding.

It knows no key of an administrator and shows no footage. Whatever changes the register beyond a
refusal is signed by two administrators on their own machines.
"""
