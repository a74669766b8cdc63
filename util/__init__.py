"""What every program needs: errors, files, seeding, device, pages."""
